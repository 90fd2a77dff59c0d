// Names as they are compared where somebody may have spelt one differently.

/** `max_bytes`, `max-bytes` and `MAXBYTES` are one name. */
export function plainName(name: string): string {
  return name.toLowerCase().replaceAll(/[_-]/g, '')
}
