/** Lets work begin while what is under way weighs less than a limit; in order, and always at least one. */
export interface Gate {
  run<T>(weight: number, work: () => Promise<T>): Promise<T>;
}

export function createGate(limit: number): Gate {
  let used = 0;
  const waiting: { weight: number; begin: () => void }[] = [];
  const admit = (): void => {
    while (waiting.length > 0 && (used === 0 || used + waiting[0]!.weight <= limit)) {
      const { weight, begin } = waiting.shift()!;
      used += weight;
      begin();
    }
  };
  return {
    async run(weight, work) {
      await new Promise<void>((begin) => {
        waiting.push({ weight, begin });
        admit();
      });
      try {
        return await work();
      } finally {
        used -= weight;
        admit();
      }
    },
  };
}
