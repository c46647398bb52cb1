import "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll } from "vitest";

// The wasm backend runs these networks about fifteen times as fast as the plain JavaScript one.
beforeAll(async () => {
  if (!(await tf.setBackend("wasm"))) throw new Error("the wasm backend of tfjs does not start here");
});
