export { LocalUsers, currentUser } from "./local-users.ts";
export type { LocalUser, LocalUsersOptions } from "./local-users.ts";
export { parseGroupFile, parsePasswdFile, parsePasswdLine } from "./account-files.ts";
export type { GroupEntry, PasswdEntry } from "./account-files.ts";
export { OwnershipProofs } from "./ownership-proofs.ts";
export type { OwnershipChallenge, OwnershipProofsOptions, ProofResult } from "./ownership-proofs.ts";
