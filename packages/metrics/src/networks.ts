import { existsSync } from "node:fs";
import { castTensor, type TensorData } from "@tensorar/checkpoint";
import { openCheckpoint } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import { inceptionShapes } from "./inception/layout";
import { lpipsShapes } from "./lpips/layout";

type Tensors = Record<string, TensorData>;

const INCEPTION_URL =
  "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth";
const VGG_URL = "https://download.pytorch.org/models/vgg16-397923af.pth";
const LPIPS_URL = "https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/vgg.pth";

/**
 * Weights of FID's Inception-v3, float32, from `pt_inception-2015-12-05-6726825d.pth` or a safetensors file of the same names.
 * @throws TensorARError when the file is missing, which says where it is to be had, or holds another network
 */
export async function loadInception(path: string): Promise<Tensors> {
  expectFile(path, `the Inception weights of FID; download them from ${INCEPTION_URL}`);
  const remedy = `it does not hold FID's Inception-v3; download that from ${INCEPTION_URL}`;
  return readNamed(path, inceptionShapes(), remedy, (name) => name);
}

/**
 * Weights of LPIPS with VGG-16, float32: a file of both under LPIPS' own names, or the linear layers (`vgg.pth`) with
 * torchvision's VGG-16 in a second file.
 * @throws TensorARError as {@link loadInception}
 */
export async function loadLpips(path: string, vggPath: string = path): Promise<Tensors> {
  expectFile(path, `the weights of LPIPS; download them from ${LPIPS_URL}`);
  expectFile(vggPath, `the weights of VGG-16; download them from ${VGG_URL}`);
  const shapes = Object.entries(lpipsShapes());
  const part = (prefix: string) => Object.fromEntries(shapes.filter(([name]) => name.startsWith(prefix)));
  const noLpips = `it does not hold LPIPS with VGG-16; download that from ${LPIPS_URL}`;
  const linear = await readNamed(path, part("lin"), noLpips, (name) => name);
  const own = vggPath === path;
  const noVgg = `it does not hold VGG-16; give torchvision's as the second file, from ${VGG_URL}`;
  const network = await readNamed(vggPath, part("net."), noVgg, (name) =>
    own ? name : name.replace(/^net\.slice\d\./, "features."),
  );
  return { ...linear, ...network };
}

function expectFile(path: string, what: string): void {
  if (!existsSync(path)) throw new TensorARError(`${path}: there is no such file; it should hold ${what}`);
}

/** The tensors of a network; what else the file holds is left out. */
async function readNamed(
  path: string,
  shapes: Readonly<Record<string, readonly number[]>>,
  remedy: string,
  nameIn: (name: string) => string,
): Promise<Tensors> {
  const file = await openCheckpoint(path);
  try {
    const known = new Set(file.names);
    const tensors: Tensors = {};
    for (const [name, shape] of Object.entries(shapes)) {
      const source = nameIn(name);
      const given = known.has(source) ? file.info(source).shape : undefined;
      if (given?.join() !== shape.join()) {
        const found = given ? `has the shape [${given}], not [${shape}]` : "is missing";
        throw new TensorARError(`${path}: tensor "${source}" ${found}; ${remedy}`);
      }
      tensors[name] = castTensor(await file.read(source), "float32");
    }
    return tensors;
  } finally {
    await file.close();
  }
}
