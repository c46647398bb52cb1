import { flagOf, type Setting } from "./kinds";

/** Keys of settings by what they were called in earlier versions, whose command lines and config files go on working. */
const TODAYS: Readonly<Record<string, string>> = {
  out: "output",
  count: "numImages",
  scale: "cfgScale",
  selfShare: "selfFraction",
  validationShare: "validationFraction",
  whole: "endToEnd",
};

/** A setting that may be given under an earlier name. */
export interface EarlierName {
  readonly key: string;
  readonly flag: string;
  readonly today: Setting;
}

/** Earlier names of a command's settings, but for those that are names of others of its settings. */
export const earlierNames = (settings: readonly Setting[]): EarlierName[] =>
  Object.entries(TODAYS).flatMap(([key, todaysKey]) => {
    const today = settings.find((setting) => setting.key === todaysKey);
    const isTaken = settings.some((setting) => setting.key === key);
    return today && !isTaken ? [{ key, flag: flagOf(key), today }] : [];
  });
