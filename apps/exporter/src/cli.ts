#!/usr/bin/env node
import "./no-telemetry";
import { runProgram } from "@tensorar/cli";
import { program } from "./program";

await runProgram(program);
