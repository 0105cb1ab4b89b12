/** Tables as text: CSV (RFC 4180, with quotes) and what is divided by bars, semicolons or tabs. */

export interface Delimited {
  delimiter: string;
  rows: { line: number; fields: string[] }[];
  /** A quote that is never closed begins on this line. */
  openQuoteLine?: number;
}

const delimiters = ["|", ",", ";", "\t"];

/** What divides the fields of a line of column names; undefined: there is one column, or it is no such line. */
export function delimiterOf(line: string): string | undefined {
  const counts = delimiters.map((delimiter) => line.split(delimiter).length - 1);
  const most = Math.max(...counts);
  return most === 0 ? undefined : delimiters[counts.indexOf(most)];
}

/** Rows with the line that each begins on, from 1; empty lines are none. Only commas and semicolons have quotes. */
export function splitDelimited(text: string, delimiter: string): Delimited {
  const rows: Delimited["rows"] = [];
  const lines = text.split(/\r?\n/);
  const isQuoted = delimiter === "," || delimiter === ";";
  for (let index = 0; index < lines.length; index += 1) {
    const line = index + 1;
    let rest = lines[index]!;
    if (rest.trim() === "") continue;
    if (!isQuoted || !rest.includes('"')) {
      rows.push({ line, fields: rest.split(delimiter) });
      continue;
    }
    const fields: string[] = [];
    for (;;) {
      if (!rest.startsWith('"')) {
        const end = rest.indexOf(delimiter);
        fields.push(end < 0 ? rest : rest.slice(0, end));
        if (end < 0) break;
        rest = rest.slice(end + 1);
        continue;
      }
      let closing = closingQuote(rest);
      while (closing < 0) {
        index += 1;
        if (index >= lines.length) return { delimiter, rows, openQuoteLine: line };
        rest += `\n${lines[index]!}`;
        closing = closingQuote(rest);
      }
      const after = rest.slice(closing + 1);
      const end = after.indexOf(delimiter);
      // What stands behind the closing quote is kept: the field is wrong, the others are not.
      fields.push(rest.slice(1, closing).replaceAll('""', '"') + (end < 0 ? after : after.slice(0, end)));
      if (end < 0) break;
      rest = after.slice(end + 1);
    }
    rows.push({ line, fields });
  }
  return { delimiter, rows };
}

/** Of a text that begins with a quote; negative: it is not closed. */
function closingQuote(text: string): number {
  for (let at = text.indexOf('"', 1); at >= 0; at = text.indexOf('"', at + 2)) if (text[at + 1] !== '"') return at;
  return -1;
}
