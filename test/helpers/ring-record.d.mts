export function recordOf(n: number, isMixed: boolean): string
