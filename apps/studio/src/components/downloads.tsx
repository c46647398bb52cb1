export function Downloads() {
  return null;
}
