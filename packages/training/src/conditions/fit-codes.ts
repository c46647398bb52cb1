import { quote, TensorARError } from "@tensorar/core";
import type { Codes } from "@tensorar/data";
import type { LoadedModel } from "@tensorar/model";

/** Codes with the labels of a model. */
export interface FittedCodes {
  readonly codes: Codes;
  /** What to tell the user: which labels changed; undefined where none did. */
  readonly note: string | undefined;
}

/**
 * Codes as a model takes them: of its codebook and grid, and for models of classes with labels matched to its own by name, since
 * a data set numbers its classes without knowing of the model.
 *
 * @throws TensorARError when a model can't be trained or scored on these codes; where classes differ, with the first on each side
 */
export function fitCodes(model: LoadedModel, modelDir: string, codes: Codes, codesDir: string): FittedCodes {
  const { vocabSize, tokens, condition, unconditionalClass } = model.model.backbone;
  const rows: [string, number, number][] = [
    ["codes in the codebook", vocabSize, codes.vocabSize],
    ["tokens an image", tokens, codes.grid[0] * codes.grid[1]],
  ];
  for (const [what, ours, theirs] of rows) {
    if (ours !== theirs)
      throw new TensorARError(
        `${modelDir} was made for ${ours} ${what}, ${codesDir} has ${theirs}; use the codes that it was trained on`,
      );
  }
  if (!("dtype" in condition)) return { codes, note: undefined };
  // Classes are 0 … unconditionalClass - 1; a model without a class for none says no number.
  const classes = unconditionalClass >= 0 ? unconditionalClass : codes.classes.length;
  const names = model.classes.length > 0 ? model.classes : Array.from({ length: classes }, (_, i) => String(i));
  if (unconditionalClass >= 0 && names.length !== unconditionalClass)
    throw new TensorARError(
      `${modelDir}/config.json names ${names.length} classes, the model has ${unconditionalClass}; correct "classes"`,
    );
  return withLabels(codes, matchClasses({ names, where: modelDir }, { names: codes.classes, where: codesDir }), names);
}

interface ClassNames {
  readonly names: readonly string[];
  readonly where: string;
}

/**
 * The model's label of every class of a data set.
 * @throws TensorARError for a name that comes twice, and where the names are not the same
 */
export function matchClasses(model: ClassNames, data: ClassNames): Int32Array {
  const [ours, theirs] = [labelsByName(model), labelsByName(data)];
  const strange = data.names.find((name) => !ours.has(name));
  const missing = model.names.find((name) => !theirs.has(name));
  if (strange !== undefined || missing !== undefined) throw differing(model, data, strange, missing);
  return Int32Array.from(data.names, (name) => ours.get(name)!);
}

function labelsByName({ names, where }: ClassNames): Map<string, number> {
  const labels = new Map<string, number>();
  for (const [label, name] of names.entries()) {
    const known = labels.get(name);
    if (known !== undefined)
      throw new TensorARError(
        `${where}: classes ${known} and ${label} are both named ${quote(name)}; give each class a name of its own`,
      );
    labels.set(name, label);
  }
  return labels;
}

function differing(
  model: ClassNames,
  data: ClassNames,
  strange: string | undefined,
  missing: string | undefined,
): TensorARError {
  const facts = [
    ...(strange === undefined ? [] : [`class ${quote(strange)} of ${data.where} is none of ${model.where}'s`]),
    ...(missing === undefined ? [] : [`class ${quote(missing)} of ${model.where} is none of ${data.where}'s`]),
  ];
  const last = model.names.length - 1;
  const byIndex = model.names.every((name, label) => name === String(label));
  const rename = byIndex
    ? `this model knows classes by their index, 0 … ${last}: name folders, or the column "class", so`
    : "name the classes as the model does";
  const rest = `where not all of them have images, list all ${model.names.length}, one a line, in a file for \`tensorar data --class-names\``;
  return new TensorARError(
    `labels can't be matched: ${facts.join(", and ")} (${data.names.length} and ${model.names.length} classes); ${rename}; ${rest}`,
  );
}

const SHOWN = 5;

function withLabels(codes: Codes, labels: Int32Array, names: readonly string[]): FittedCodes {
  const moved = codes.classes.flatMap((name, label) =>
    labels[label] === label ? [] : [`${quote(name)} is ${labels[label]}, not ${label}`],
  );
  if (moved.length === 0) return { codes, note: undefined };
  const shown = [...moved.slice(0, SHOWN), ...(moved.length > SHOWN ? ["…"] : [])].join(", ");
  return {
    codes: { ...codes, classes: [...names], labels: codes.labels.map((label) => labels[label]!) },
    note: `labels matched to the model's by name; ${moved.length} of ${names.length} change: ${shown}`,
  };
}
