// ONNX Runtime 1.30 has a telemetry client on Linux too, which leaves logs in the folder for temporary files. Whoever wants it sets
// the variable to 0. It is read when the runtime is loaded, so this comes before anything that could load it.
process.env.ORT_DISABLE_TELEMETRY ??= "1";
