/** The name of the winston transport of a kind: `rotating-file` is `RotatingFileTransport`. */
export function transportClass(kind: string): string {
  const words = kind.split('-').map((word) => word[0].toUpperCase() + word.slice(1))
  return `${words.join('')}Transport`
}
