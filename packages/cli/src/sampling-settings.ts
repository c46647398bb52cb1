import { z } from "zod";
import { oneOrMore, positive, whole } from "./common";
import { onlyWith } from "./only-with";

/** Of kinds of guidance, beside their scale. */
export const guidanceSettings = {
  ...onlyWith(
    { guidance: ["interval"] },
    { interval: whole(0).optional().describe("last decode step that is guided") },
  ),
  ...onlyWith({ guidance: ["power-cosine"] }, { power: positive(1000).optional().describe("its power") }),
};

/** Of ways to feed drafts back. */
export const draftSettings = {
  ...onlyWith(
    { drafts: ["raw", "renoise"] },
    {
      draftTemperature: oneOrMore(positive(1000))
        .optional()
        .describe("temperature of the drafts; several, with commas, for depths 1 … k-1"),
    },
  ),
  ...onlyWith(
    { drafts: ["renoise"] },
    {
      draftRates: z
        .array(z.number().min(0).max(1))
        .min(1)
        .optional()
        .describe("noise rates of depths 1 … k-1, with commas; those of the training when left out"),
    },
  ),
};
