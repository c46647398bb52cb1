/** One holder at a time, in the order in which they asked. */
export class Lock {
  #last: Promise<void> = Promise.resolve();

  /** @returns what gives the lock back */
  async take(): Promise<() => void> {
    const before = this.#last;
    let release = (): void => {};
    this.#last = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    return release;
  }

  /** Runs a job while holding the lock. */
  async hold<T>(job: () => Promise<T>): Promise<T> {
    const release = await this.take();
    try {
      return await job();
    } finally {
      release();
    }
  }
}
