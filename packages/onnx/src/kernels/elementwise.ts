import type { Lowering } from "../backend";
import { type Builder, type ElementType, scalar, type Value } from "../graph";
import { type Kernels, need } from "./shared";

/** Element-wise kernels: unary functions, arithmetic, comparison, logic, selection, casts. */

type Unary = (g: Builder, x: Value, attributes: Readonly<Record<string, number>>) => Value;
type Binary = (g: Builder, a: Value, b: Value) => Value;

const unary =
  (f: Unary): Lowering =>
  (g, inputs, attributes) =>
    f(g, need(inputs, "x"), attributes);
const binary =
  (f: Binary): Lowering =>
  (g, inputs) =>
    f(g, need(inputs, "a"), need(inputs, "b"));

/** An ONNX operator of the same meaning, for floats (and for integers where `integers`); others go through float32. */
const direct = (op: string, integers = false): Lowering =>
  unary((g, x) => {
    if (x.dtype === "float32" || (integers && x.dtype === "int32")) return g.unary(op, x);
    return g.cast(g.unary(op, g.cast(x, "float32")), x.dtype === "int32" ? "int32" : "float32");
  });

/** Booleans count as 0 and 1; the result keeps the operands' type, as in tfjs. */
const arithmetic = (f: Binary): Lowering =>
  binary((g, a, b) => (a.dtype === "bool" ? g.cast(f(g, g.cast(a, "int32"), g.cast(b, "int32")), "bool") : f(g, a, b)));

const onnxBinary = (op: string): Lowering => arithmetic((g, a, b) => g.binary(op, a, b));

const comparison = (op: string): Lowering =>
  binary((g, a, b) => {
    const type: ElementType = a.dtype === "bool" && op !== "Equal" ? "int32" : a.dtype;
    return g.compare(op, g.cast(a, type), g.cast(b, type));
  });

const logical = (op: string): Lowering => binary((g, a, b) => g.compare(op, g.cast(a, "bool"), g.cast(b, "bool")));

const like = (x: Value, value: number): Value => scalar(x.dtype, value);

/** eˣ - 1 = tanh(x/2)·(eˣ + 1), which keeps its digits near 0. */
const expm1: Unary = (g, x) => {
  const half = g.unary("Tanh", g.binary("Mul", x, like(x, 0.5)));
  return g.binary("Mul", half, g.binary("Add", g.unary("Exp", x), like(x, 1)));
};

/** With u = fl(1 + x): log(u)·x/(u - 1), Kahan's correction of the rounding in u, where |x| is small. */
const log1p: Unary = (g, x) => {
  const u = g.binary("Add", x, like(x, 1));
  const log = g.unary("Log", u);
  const excess = g.binary("Sub", u, like(x, 1));
  const corrected = g.binary("Mul", log, g.binary("Div", x, excess));
  const near = g.where(g.compare("Equal", excess, like(x, 0)), x, corrected);
  return g.where(g.compare("Less", g.unary("Abs", x), like(x, 0.5)), near, log);
};

/** The quadrant is put right by ±π where x < 0; atan2(0, 0) = 0. */
const atan2: Binary = (g, y, x) => {
  const zero = like(x, 0);
  const bothZero = g.compare("And", g.compare("Equal", x, zero), g.compare("Equal", y, zero));
  const angle = g.where(bothZero, zero, g.unary("Atan", g.binary("Div", y, x)));
  const turn = g.where(g.compare("Less", y, zero), like(x, -Math.PI), like(x, Math.PI));
  return g.binary("Add", angle, g.where(g.compare("Less", x, zero), turn, zero));
};

/** Rounds towards minus infinity (ONNX `Div` truncates integers); always int32, as in tfjs. */
const floorDiv: Binary = (g, a, b) => {
  const wide = a.dtype === "int32" ? "float64" : a.dtype;
  return g.cast(g.unary("Floor", g.binary("Div", g.cast(a, wide), g.cast(b, wide))), "int32");
};

/** The result has the sign of the divisor. ONNX `Mod` does so for integers; for floats it has the sign of the dividend. */
const mod: Binary = (g, a, b) => {
  if (a.dtype === "int32") return g.binary("Mod", a, b);
  const fmod = (x: Value, y: Value): Value =>
    g.op("Mod", [x, y], { dtype: x.dtype, shape: g.binary("Add", x, y).shape }, { fmod: 1 });
  const rest = fmod(a, b);
  const negative = (x: Value): Value => g.compare("Less", x, like(x, 0));
  return g.where(g.compare("Xor", negative(a), negative(b)), fmod(g.binary("Add", rest, b), b), rest);
};

const isInf: Unary = (g, x) =>
  x.dtype === "float32" ? g.op("IsInf", [x], { dtype: "bool", shape: x.shape }) : nowhere(g, x);
const isNan: Unary = (g, x) =>
  x.dtype === "float32" ? g.op("IsNaN", [x], { dtype: "bool", shape: x.shape }) : nowhere(g, x);
/** False for every element. */
const nowhere = (g: Builder, x: Value): Value => g.unary("Not", g.compare("Equal", x, x));
const not = (g: Builder, x: Value): Value => g.unary("Not", x);

/** 1 where x > 0, `alpha` elsewhere, NaN stays NaN. */
const step: Unary = (g, x, { alpha }) => {
  const value = g.where(g.compare("Greater", x, like(x, 0)), like(x, 1), like(x, alpha ?? 0));
  return x.dtype === "float32" ? g.where(isNan(g, x, {}), x, value) : value;
};

/** `condition` of rank 1 selects along the first axis of operands of higher rank. */
const select: Lowering = (g, inputs) => {
  const condition = g.cast(need(inputs, "condition"), "bool");
  const t = need(inputs, "t");
  const rows = condition.shape.length === 1 && t.shape.length > 1;
  const aligned = rows ? g.reshape(condition, [condition.shape[0]!, ...t.shape.slice(1).map(() => 1)]) : condition;
  return g.where(aligned, t, need(inputs, "e"));
};

const clip: Unary = (g, x, { clipValueMin, clipValueMax }) =>
  g.op("Clip", [x, like(x, clipValueMin!), like(x, clipValueMax!)], x);

export const activation: Readonly<Record<string, (g: Builder, x: Value, alpha?: number, slope?: Value) => Value>> = {
  linear: (_, x) => x,
  relu: (g, x) => g.unary("Relu", x),
  relu6: (g, x) => g.op("Clip", [x, like(x, 0), like(x, 6)], x),
  elu: (g, x) => g.unary("Elu", x),
  sigmoid: (g, x) => g.unary("Sigmoid", x),
  leakyrelu: (g, x, alpha) => g.unary("LeakyRelu", x, { alpha: alpha ?? 0.2 }),
  prelu: (g, x, _, slope) => g.op("PRelu", [x, slope], x),
};

export const elementwise: Kernels = {
  Abs: direct("Abs", true),
  Acos: direct("Acos"),
  Acosh: direct("Acosh"),
  Add: onnxBinary("Add"),
  AddN: (g, inputs) => Object.values(inputs).reduce((a, b) => g.binary("Add", a, b)),
  Asin: direct("Asin"),
  Asinh: direct("Asinh"),
  Atan: direct("Atan"),
  Atan2: binary(atan2),
  Atanh: direct("Atanh"),
  BitwiseAnd: binary((g, a, b) => g.binary("BitwiseAnd", a, b)),
  Cast: (g, inputs, { dtype }) => g.cast(need(inputs, "x"), dtype as ElementType),
  Ceil: direct("Ceil"),
  ClipByValue: unary(clip),
  Cos: direct("Cos"),
  Cosh: direct("Cosh"),
  Elu: direct("Elu"),
  EluGrad: (g, inputs) => {
    const [dy, y] = [need(inputs, "dy"), need(inputs, "y")];
    const slope = g.binary("Add", y, like(y, 1));
    return g.where(g.compare("GreaterOrEqual", y, like(y, 0)), dy, g.binary("Mul", dy, slope));
  },
  Equal: comparison("Equal"),
  Erf: direct("Erf"),
  Exp: direct("Exp"),
  Expm1: unary(expm1),
  Floor: direct("Floor"),
  FloorDiv: binary(floorDiv),
  Greater: comparison("Greater"),
  GreaterEqual: comparison("GreaterOrEqual"),
  Identity: unary((_, x) => x),
  IsFinite: unary((g, x) => not(g, g.compare("Or", isInf(g, x, {}), isNan(g, x, {})))),
  IsInf: unary(isInf),
  IsNan: unary(isNan),
  LeakyRelu: unary((g, x, { alpha }) => g.unary("LeakyRelu", x, { alpha: alpha ?? 0.2 })),
  Less: comparison("Less"),
  LessEqual: comparison("LessOrEqual"),
  Log: direct("Log"),
  Log1p: unary(log1p),
  LogicalAnd: logical("And"),
  LogicalNot: unary((g, x) => not(g, g.cast(x, "bool"))),
  LogicalOr: logical("Or"),
  Maximum: onnxBinary("Max"),
  Minimum: onnxBinary("Min"),
  Mod: binary(mod),
  Multiply: onnxBinary("Mul"),
  Neg: direct("Neg", true),
  NotEqual: binary((g, a, b) => not(g, g.compare("Equal", a, b))),
  Pow: binary((g, a, b) => g.binary("Pow", a, b)),
  Prelu: (g, inputs) => g.op("PRelu", [need(inputs, "x"), need(inputs, "alpha")], need(inputs, "x")),
  RealDiv: binary((g, a, b) => g.binary("Div", g.cast(a, "float32"), g.cast(b, "float32"))),
  Reciprocal: direct("Reciprocal"),
  Relu: direct("Relu"),
  Relu6: unary((g, x) => g.op("Clip", [x, like(x, 0), like(x, 6)], x)),
  Round: direct("Round"),
  Rsqrt: unary((g, x) => g.unary("Reciprocal", g.unary("Sqrt", x))),
  Select: select,
  Selu: direct("Selu"),
  Sigmoid: direct("Sigmoid"),
  Sign: direct("Sign", true),
  Sin: direct("Sin"),
  Sinh: direct("Sinh"),
  Softplus: direct("Softplus"),
  Sqrt: direct("Sqrt"),
  Square: unary((g, x) => g.binary("Mul", x, x)),
  SquaredDifference: binary((g, a, b) => {
    const difference = g.binary("Sub", a, b);
    return g.binary("Mul", difference, difference);
  }),
  Step: unary(step),
  Sub: onnxBinary("Sub"),
  Tan: direct("Tan"),
  Tanh: direct("Tanh"),
};
