export type {
  Accounting,
  AccountingReader,
  AttemptFilter,
  AttemptRow,
  StepRow,
  NumberedRow,
  UsageEntry,
  UsageRow,
} from "./attempt-row.ts";
export { copyAccounting } from "./copy.ts";
export { openAccounting } from "./open.ts";
export { isPostgresUrl, postgresPlace, shownPlace } from "./postgres-url.ts";
export { accountingRoute } from "./route.ts";
export type { AccountingAnswer, AccountingRequest } from "./route.ts";
export { openSqliteReader } from "./sqlite.ts";
export { openAccountingThread } from "./thread.ts";
export { startErrorMetrics, startErrors } from "./start-errors.ts";
export type { StartErrors, ToldStart } from "./start-errors.ts";
export { AccountingTrouble, isPassingTrouble } from "./trouble.ts";
