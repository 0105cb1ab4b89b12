/** Aligned columns, structured output and colours for people at a terminal. */
import { stripVTControlCharacters, styleText } from "node:util";

export const outputFormats = ["json", "yaml", "wide"] as const;
export type OutputFormat = (typeof outputFormats)[number];

export interface TableColumn<Row> {
  title: string;
  value: (row: Row) => string | number | undefined;
  align?: "left" | "right";
  /** Shown with `--output wide` only. */
  wide?: boolean;
}

/** Rows as aligned columns with a head, each line ended; an absent value is `-`. */
export function formatTable<Row>(columns: readonly TableColumn<Row>[], rows: readonly Row[], wide = false): string {
  const shown = columns.filter((column) => wide || column.wide !== true);
  const cells = rows.map((row) => shown.map((column) => String(column.value(row) ?? "-")));
  const lines = [shown.map(({ title }) => title), ...cells];
  const widths = shown.map((_, at) => Math.max(...lines.map((line) => widthOf(line[at]!))));
  return lines
    .map((line) =>
      line
        .map((cell, at) => pad(cell, widths[at]!, shown[at]!.align ?? "left"))
        .join("  ")
        .trimEnd(),
    )
    .join("\n")
    .concat("\n");
}

function widthOf(cell: string): number {
  return stripVTControlCharacters(cell).length;
}

function pad(cell: string, width: number, align: "left" | "right"): string {
  const blanks = " ".repeat(Math.max(0, width - widthOf(cell)));
  return align === "left" ? cell + blanks : blanks + cell;
}

/** A value as JSON or YAML, ended by a newline. */
export async function formatData(value: unknown, format: "json" | "yaml"): Promise<string> {
  if (format === "json") return `${JSON.stringify(value, undefined, 2)}\n`;
  const { dump } = await import("js-yaml");
  return dump(value, { lineWidth: 120, noRefs: true });
}

/** Prints rows in the format that was asked for. `data` is what the structured formats print. */
export async function printRows<Row>(
  columns: readonly TableColumn<Row>[],
  rows: readonly Row[],
  format: OutputFormat | undefined,
  data: unknown = rows,
): Promise<void> {
  if (format === "json" || format === "yaml") process.stdout.write(await formatData(data, format));
  else process.stdout.write(formatTable(columns, rows, format === "wide"));
}

type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/** Colours a text where the stream is a terminal and nobody forbade it. */
export function paint(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText(style, text, { stream });
}
