export declare const engines: Readonly<Record<string, { readonly version: string }>>
export declare const root: string
export declare function folderOf(name: string): string
export declare function hasEngine(name: string): boolean
