/** Text that is safe inside HTML. */
export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[character]!);

export interface Section {
  readonly title: string;
  /** HTML */
  readonly body: string;
}

export const paragraph = (text: string): string => `<p>${escapeHtml(text)}</p>`;

export const picture = (dataUri: string, caption: string): string =>
  `<figure><img src="${dataUri}" alt="${escapeHtml(caption)}"><figcaption>${escapeHtml(caption)}</figcaption></figure>`;

export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  `<table><thead><tr>${head.map((cell) => `<th>${escapeHtml(cell)}</th>`).join("")}</tr></thead><tbody>${rows
    .map((row) => `<tr>${row.map((cell) => `<td>${escapeHtml(cell)}</td>`).join("")}</tr>`)
    .join("")}</tbody></table>`;

const STYLE = `
body { font: 16px/1.5 system-ui, sans-serif; color: #1d2129; max-width: 1080px; margin: 0 auto; padding: 24px; }
h1 { font-size: 28px; margin-bottom: 4px; } h2 { margin-top: 40px; border-bottom: 1px solid #d8dce3; padding-bottom: 4px; }
table { border-collapse: collapse; margin: 12px 0; } th, td { padding: 4px 14px 4px 0; text-align: left; border-bottom: 1px solid #e6e9ee; }
td { font-variant-numeric: tabular-nums; } img { max-width: 100%; image-rendering: pixelated; } figure { display: inline-block; margin: 8px 16px 8px 0; vertical-align: top; }
figcaption { color: #5a6372; font-size: 14px; } pre { background: #f4f5f8; padding: 10px; overflow-x: auto; font-size: 13px; }`;

/** A page that needs no other file. */
export const page = (title: string, lead: string, sections: readonly Section[]): string =>
  `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(title)}</title><style>${STYLE}</style></head>` +
  `<body><h1>${escapeHtml(title)}</h1>${paragraph(lead)}${sections.map(({ title, body }) => `<h2>${escapeHtml(title)}</h2>${body}`).join("\n")}</body></html>\n`;
