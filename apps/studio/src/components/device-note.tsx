import { device } from "../state/state";

/** What models run on, and why not on something faster. */
export function DeviceNote() {
  const report = device.value;
  if (!report) return <p class="device">Choosing what to run on …</p>;
  const threads = report.threads === 1 ? "1 thread" : `${report.threads} threads`;
  return (
    <p class="device" data-device={report.device} data-threads={report.threads}>
      <strong>{report.device === "webgpu" ? "WebGPU" : `WebAssembly, ${threads}`}</strong>
      {report.reasons.map((reason) => (
        <span key={reason}>{reason}</span>
      ))}
    </p>
  );
}
