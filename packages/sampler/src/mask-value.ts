/** Added to the scores of a position that attention must not read: so low that its weight is exactly 0. */
export const MASK_VALUE = -1e9;
