import { join } from "node:path";
import { describeMachine } from "@tensorar/cli";
import { checkPackage, findOptional, type PackageCheck, type Places } from "@tensorar/core/node";
import { checkRuntimes } from "@tensorar/onnx/node";
import { TENSORFLOW_PACKAGES } from "@tensorar/training/settings";
import { program } from "./program";

// tfjs-node 4.22 loads on Node 23 and newer, and fails at the first operation.
const ADD = `
  const tf = require(args[0]);
  if (!(await tf.setBackend("tensorflow"))) throw new Error("its backend can't be initialised");
  if (tf.add(1, 1).dataSync()[0] !== 2) throw new Error("it computes wrong values");`;

const DRAW = `await loaded({ create: { width: 1, height: 1, channels: 3, background: "red" } }).png().toBuffer();`;

/**
 * What this machine has for the trainer; packages are looked for in `places`. What lies in the current folder is named, but not
 * run: it may be anyone's.
 */
export async function diagnose(places: Places, currentFolder: string): Promise<string> {
  const withCurrent = (engine: string, check: PackageCheck & { details?: readonly string[] }) => {
    const path = check.path === undefined ? findOptional(check.name, [join(currentFolder, "package.json")]) : undefined;
    return path === undefined
      ? check
      : { ...check, details: [`--engine ${engine} runs ${path}, as it is in this folder`] };
  };
  const tfjs = findOptional("@tensorflow/tfjs-core", [import.meta.url])!;
  const [runtimes, tensorflow, sharp] = await Promise.all([
    checkRuntimes(places),
    Promise.all(TENSORFLOW_PACKAGES.map((name) => checkPackage(name, places, ADD, [tfjs]))),
    checkPackage("sharp", places, DRAW),
  ]);
  return describeMachine(program, [
    {
      title: "--engine onnx, the fast one",
      packages: runtimes.map((check) => withCurrent("onnx", check)),
      remedy: "npm install --ignore-scripts onnxruntime-node",
    },
    {
      title: "--engine tensorflow, for GPUs that it supports",
      packages: tensorflow.map((check) => withCurrent("tensorflow", check)),
      remedy: "npm install @tensorflow/tfjs-node, whose install script downloads TensorFlow",
    },
    { title: "Images", packages: [sharp], remedy: "npm install sharp" },
  ]).concat("\n\n--engine cpu (a hundred times slower) and --engine wasm (no training) need nothing else.");
}
