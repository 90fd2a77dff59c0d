export function promiseTable(root: string): string
export function safeguardTable(root: string): string
export function peerTable(root: string): string
