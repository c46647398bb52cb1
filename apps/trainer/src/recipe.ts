/** Settings that do not change what is trained: a resumed run may differ in these. */
const RUN_ONLY = [
  "resume",
  "overwrite",
  "steps",
  "engine",
  "threads",
  "checkpointEvery",
  "logEvery",
  "validateEvery",
  "precision",
  "output",
];

/** The part of the settings that decides what is trained. */
export const recipeOf = (settings: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(settings).filter(([key]) => !RUN_ONLY.includes(key)));
