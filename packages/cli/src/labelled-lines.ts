/** Lines of `label  text`, wrapped at the width of the terminal, the text aligned. */

const labelWidth = 10;

/** How wide lines may be: the terminal, within what is pleasant to read; 100 where there is none. */
function lineWidth(): number {
  return Math.min(120, Math.max(60, process.stdout.columns ?? 100));
}

/** A labelled paragraph; an empty label goes on with the one before. */
export function labelled(label: string, text: string, width = lineWidth()): string[] {
  const indent = 2 + labelWidth + 1;
  const room = width - indent;
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.map((part, at) => `  ${(at === 0 ? label : "").padEnd(labelWidth)} ${part}`);
}
