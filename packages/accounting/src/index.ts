export type { Accounting, AccountingReader, AttemptFilter, AttemptRow, UsageEntry, UsageRow } from "./attempt-row.ts";
export { accountingRoute } from "./route.ts";
export type { AccountingAnswer, AccountingRequest } from "./route.ts";
export { openAccounting, openAccountingReader } from "./sqlite.ts";
export { openAccountingThread } from "./thread.ts";
export { startErrorMetrics, startErrors } from "./start-errors.ts";
export type { StartErrors, ToldStart } from "./start-errors.ts";
