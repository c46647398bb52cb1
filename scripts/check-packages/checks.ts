/** What went wrong in a check; an empty list is a pass. */
export type Problems = readonly string[];

export interface Tally {
  passed: number;
  failed: number;
}

/** Runs one check, prints its line and the problems under it, and counts it. An error thrown is a problem too. */
export async function check(tally: Tally, name: string, run: () => Promise<Problems> | Problems): Promise<boolean> {
  const problems = await Promise.resolve()
    .then(run)
    .catch((error: unknown) => [error instanceof Error ? error.message : String(error)]);
  const passed = problems.length === 0;
  tally[passed ? "passed" : "failed"]++;
  console.log(`${passed ? "✓" : "✗"} ${name}`);
  for (const problem of problems) console.log(problem.trimEnd().replace(/^/gm, "    "));
  return passed;
}
