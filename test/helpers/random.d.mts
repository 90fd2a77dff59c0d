export function createRandom(name: string): () => number
