export interface Campaign {
  readonly what: string
  readonly files: readonly string[]
  readonly only?: string
  readonly env?: Readonly<Record<string, string>>
  readonly takesMinutes?: string
}

export const campaigns: Readonly<Record<string, Campaign>>
