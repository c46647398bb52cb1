/** Original repositories, by the name that `convert --from` takes. Apart from what they hold, so that help loads no models. */
export const FAMILY_NAMES = ["llamagen", "rar", "magvit2", "janus"] as const;

export type FamilyName = (typeof FAMILY_NAMES)[number];
