import { testSettings } from "@tensorar/testing/settings";
import { program } from "../src/program";

testSettings(program);
