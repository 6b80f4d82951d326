// Where npm laid the workerd of this machine. The package has no types.
import { createRequire } from "node:module";

export const workerdBinary = (): string => (createRequire(import.meta.url)("workerd") as { default: string }).default;
