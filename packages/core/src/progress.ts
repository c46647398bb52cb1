/** How far one long piece of work has come. */
export interface Progress {
  /** `done` of the total; `note` is shown beside it (a loss, a file name). */
  update(done: number, note?: string): void;
  /** Nothing more comes. */
  stop(): void;
}

/**
 * Begins to show progress: `title 120/480 images`. Functions that take long take one, and show nothing without;
 * `startProgress` of `@tensorar/cli` shows it on stderr.
 *
 * @param total undefined where nobody knows
 * @param unit what is counted, in the plural: `images`
 * @param start units that were done before
 */
export type StartProgress = (title: string, total: number | undefined, unit: string, start?: number) => Progress;

/** Shows nothing. */
export const noProgress: StartProgress = () => ({ update: () => {}, stop: () => {} });
