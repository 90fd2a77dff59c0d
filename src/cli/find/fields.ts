// Fields of a record by their path: a.b.c is the field c of b of a, or one whose name has the points in it.

/** The value at `path`; undefined if there is none. Elements of lists are named by their number. */
export function fieldAt(record: unknown, path: string): unknown {
  const steps = stepsTo(record, path)
  let value = record
  for (const step of steps ?? []) value = (value as Record<string, unknown>)[step]
  return steps === undefined ? undefined : value
}

/** A record of the fields at `paths` alone, in the shape in which they are in `record`. */
export function pickFields(record: object, paths: readonly string[]): Record<string, unknown> {
  const picked: Record<string, unknown> = Object.create(null)
  for (const path of paths) {
    const steps = stepsTo(record, path)
    if (steps === undefined) continue
    let from: unknown = record
    let to = picked
    for (const [at, step] of steps.entries()) {
      from = (from as Record<string, unknown>)[step]
      // Objects of the record stay as they are: another path may need what this one left out.
      if (at === steps.length - 1) to[step] = from
      else {
        to[step] = to[step] === undefined || to[step] === from ? Object.create(null) : to[step]
        to = to[step] as Record<string, unknown>
      }
    }
  }
  return picked
}

function stepsTo(value: unknown, path: string): string[] | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  // What a record does not hold itself (constructor, __proto__) is no field.
  if (Object.hasOwn(value, path)) return [path]
  for (let point = path.indexOf('.'); point !== -1; point = path.indexOf('.', point + 1)) {
    const first = path.slice(0, point)
    if (!Object.hasOwn(value, first)) continue
    const rest = stepsTo((value as Record<string, unknown>)[first], path.slice(point + 1))
    if (rest !== undefined) return [first, ...rest]
  }
  return undefined
}
