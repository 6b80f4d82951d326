// The classes of all Durable Objects; the control Worker's entry exports them under these names.
export { App } from "./app/app.ts";
export { Cell } from "./cell/cell.ts";
export { Host } from "./host/host.ts";
export { RateLimit } from "./rate-limit/rate-limit.ts";
export { Region } from "./region/region.ts";
