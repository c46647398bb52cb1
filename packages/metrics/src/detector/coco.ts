import { TensorARError } from "@tensorar/core";

/** The 80 classes of COCO under the names that GenEval's prompts use, which says "computer mouse" and "tv remote". */
const NAMES =
  "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,bench," +
  "bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard," +
  "sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon," +
  "bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table," +
  "toilet,tv,laptop,computer mouse,tv remote,computer keyboard,cell phone,microwave,oven,toaster,sink,refrigerator,book," +
  "clock,vase,scissors,teddy bear,hair drier,toothbrush";

/** Identifiers in 1 … 90 that COCO's annotations do not use. */
const UNUSED = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83];

/** Name of a label that stands for no class; such detections are dropped. */
export const NO_CLASS = "";

/**
 * Names of COCO's classes by label, as GenEval writes them: 80 in a row, as mmdetection and RT-DETR count, or 91 by their
 * identifiers in the annotations, as torchvision and DETR do, where unused labels are "".
 */
export function cocoClasses(count: 80 | 91): string[] {
  const names = NAMES.split(",");
  if (count === 80) return names;
  if (count !== 91) throw new TensorARError(`cocoClasses: there are no ${count} COCO classes; pass 80 or 91`);
  return Array.from({ length: 91 }, (_, id) => (id === 0 || UNUSED.includes(id) ? NO_CLASS : names.shift()!));
}
