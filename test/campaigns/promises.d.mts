export const promises: readonly {
  readonly promise: string
  readonly tests: readonly (readonly [file: string, name: string])[]
  readonly campaign: string
}[]
