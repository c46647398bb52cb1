export { loadInception, loadLpips } from "./networks";
