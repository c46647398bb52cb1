export { type DescriptionOf, parseTextEncoder, type TextEncoderDescription } from "./description";
export { expectFeatureSize, type FeatureSize, featureSize } from "./feature-size";
export { encodingNotes } from "./notes";
export { openOnnxEncoder } from "./onnx-encoder";
export {
  createTextEncoder,
  type EncodedTexts,
  TEXTS_AT_ONCE,
  type TextEncoder,
  type TextLosses,
  type TokenRunner,
  type TruncatedText,
  type UnknownWords,
} from "./text-encoder";
export { beside, isOfTextEncoder, type TokenCondition, withTextEncoder } from "./token-backbone";
export { type TextEncoderProgram, TOKEN_ENCODERS, type TokenEncoder, textEncoderProgram } from "./token-encoder";
