// On a busy machine an answer takes seconds: what the control Worker asks of others is waited for longer than in production.
import { PATIENCE } from "../../db/connect.ts";

PATIENCE.connectMs *= 10;
PATIENCE.statementMs *= 10;
// No more, because a file's tests are one request to workerd, and what waits for nothing any more counts until its time is over: a request
// may have 10,000 such signals.
const TIMES = 2;
const timeout = AbortSignal.timeout.bind(AbortSignal);
AbortSignal.timeout = (ms) => timeout(ms * TIMES);
