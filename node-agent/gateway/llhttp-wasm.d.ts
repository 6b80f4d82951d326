// The one file of undici that the gateway uses: llhttp, compiled to WebAssembly. undici types only its own API.
declare module "undici/lib/llhttp/llhttp-wasm.js" {
  const bytes: Uint8Array<ArrayBuffer>;
  export default bytes;
}

/** What of WebAssembly it takes to run that; TypeScript has it in the library for browsers only. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
  }
  class Instance {
    constructor(module: Module, imports: { readonly env: Readonly<Record<string, (...values: number[]) => number>> });
    readonly exports: object;
  }
  interface Memory {
    readonly buffer: ArrayBuffer;
  }
}
