// A stored document as text: the stores hand out streams, which is all that goes from Worker to Worker.
import type { StoredBundle } from "./env.ts";

export const textOf = ({ body }: StoredBundle): Promise<string> => new Response(body).text();
