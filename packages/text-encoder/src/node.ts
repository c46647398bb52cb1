export {
  describeTextEncoder,
  type EncoderRuntime,
  type LoadedTextEncoder,
  loadTextEncoder,
  openTextEncoder,
  saveTextEncoder,
  TEXT_ENCODER_FILES,
  type TextEncoderFolder,
} from "./folder";
export { findTextEncoder, inheritedTextEncoder, TEXT_ENCODER, textEncoderOf, textEncoderPath } from "./model-encoder";
