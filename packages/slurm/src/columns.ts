/** Columns as squeue and sinfo lay them out: `%.18i` right, `%20Y` left, `%R` as wide as it is, text between. */
import { SlurmError } from "./errors.ts";

/** What of a row a column shows, and the word above it. */
export interface Field<Row> {
  header: string;
  value: (row: Row) => string;
}

/** A column in its place. Width 0: as wide as its content. */
export interface Column<Row> {
  field: Field<Row>;
  width: number;
  right: boolean;
  /** Stands before the column, word for word. */
  before: string;
}

export interface Layout<Row> {
  columns: Column<Row>[];
  after: string;
}

/**
 * Reads a `--format` of `%[.][WIDTH]LETTER` codes; all else is text.
 * @throws SlurmError 1 for a letter that is no code
 */
export function parseCodes<Row>(format: string, fields: Record<string, Field<Row>>, what: string): Layout<Row> {
  const columns: Column<Row>[] = [];
  let before = "";
  let end = 0;
  for (const match of format.matchAll(/%(%|(\.?)(\d*)([A-Za-z]))/g)) {
    before += format.slice(end, match.index);
    end = match.index + match[0].length;
    if (match[1] === "%") {
      before += "%";
      continue;
    }
    const field = Object.hasOwn(fields, match[4]!) ? fields[match[4]!] : undefined;
    if (!field) throw new SlurmError(1, `error: Invalid ${what} format specification: ${match[4]}`);
    columns.push({ field, width: Number(match[3] || 0), right: match[2] === ".", before });
    before = "";
  }
  return { columns, after: before + format.slice(end) };
}

/**
 * Reads a `--Format` of `NAME[:[.][WIDTH][SUFFIX]]`, joined by commas; 20 wide where nothing is said.
 * @throws SlurmError 1 for a name that is no field
 */
export function parseNames<Row>(format: string, fields: Record<string, Field<Row>>, what: string): Layout<Row> {
  let before = "";
  const columns = format.split(",").map((entry): Column<Row> => {
    const match = /^\s*([A-Za-z_-]+)\s*(?::(\.?)(\d*)(.*))?$/.exec(entry);
    const name = match?.[1]?.toLowerCase() ?? "";
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (!match || !field) throw new SlurmError(1, `error: Invalid ${what} format specification: ${entry.trim()}`);
    const column = { field, width: Number(match[3] || 20), right: match[2] === ".", before };
    before = match[4] ?? "";
    return column;
  });
  return { columns, after: before };
}

/** The table as text, each line ended. Headings and values longer than their column are cut. */
export function formatTable<Row>(layout: Layout<Row>, rows: readonly Row[], heading = true): string {
  const cell = (column: Column<Row>, text: string) => {
    if (column.width === 0) return text;
    const cut = text.slice(0, column.width);
    return column.right ? cut.padStart(column.width) : cut.padEnd(column.width);
  };
  let text = "";
  const line = (value: (column: Column<Row>) => string) => {
    for (const column of layout.columns) text += column.before + cell(column, value(column));
    text += `${layout.after}\n`;
  };
  if (heading) line((column) => column.field.header);
  for (const row of rows) line((column) => column.field.value(row));
  return text;
}
