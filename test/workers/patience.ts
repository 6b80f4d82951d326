// On a busy machine an answer takes seconds: what the control Worker asks of others is waited for ten times as long as in production.
import { PATIENCE } from "../../db/connect.ts";

const TIMES = 10;

Object.assign(PATIENCE, { connectMs: PATIENCE.connectMs * TIMES, statementMs: PATIENCE.statementMs * TIMES });
const timeout = AbortSignal.timeout.bind(AbortSignal);
AbortSignal.timeout = (ms) => timeout(ms * TIMES);
