/** One export that the page serves. */
export interface ShippedPart {
  /** Relative to the page. */
  readonly folder: string;
  /** Of the files that are read to open it. */
  readonly bytes: number;
}

/** A model that the page offers, and the base model that is shown beside it. */
export interface ShippedModel {
  readonly id: string;
  readonly name: string;
  readonly refined: ShippedPart;
  readonly base: ShippedPart;
}

/** The models that `scripts/models.ts` wrote. @throws Error when the list can't be read */
export async function shippedModels(): Promise<readonly ShippedModel[]> {
  const response = await fetch("models/index.json").catch((cause: Error) => {
    throw new Error(`models/index.json: ${cause.message}; check the connection`, { cause });
  });
  if (!response.ok) throw new Error(`models/index.json: the server answers ${response.status}`);
  return (await response.json()) as readonly ShippedModel[];
}
