/** Original repositories of models, by the name that `convert --from` takes. Apart from what they hold, so that help loads no models. */
export const FAMILY_NAMES = ["llamagen", "rar", "magvit2", "janus"] as const;

export type FamilyName = (typeof FAMILY_NAMES)[number];

/** Text encoders, by the name that `convert --from` takes. */
export const TEXT_ENCODER_NAMES = ["t5"] as const;

export type TextEncoderName = (typeof TEXT_ENCODER_NAMES)[number];

export const isTextEncoder = (name: FamilyName | TextEncoderName): name is TextEncoderName =>
  TEXT_ENCODER_NAMES.some((each) => each === name);
