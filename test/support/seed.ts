/**
 * Loaded before each test file: property tests draw the same cases in each run, so that a change is what makes a test fail.
 * BERTH_SEED chooses others; the full sizes (`npm run prove`) draw new ones.
 */
import { configureGlobal } from "fast-check";

configureGlobal({ seed: Number(process.env["BERTH_SEED"] ?? 20261122) });
