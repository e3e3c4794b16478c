package voice

// DefaultLocale is that of a command that names none.
const DefaultLocale = "en-US"

// The locales of each command are those of the API, whatever this server can
// speak or understand: a locale that nothing serves is refused when the command
// is accepted.

// GatherLocales lists the locales that a gather may listen for speech in.
func GatherLocales() []string {
	return []string{
		"de-DE", "en-AU", "en-GB", "en-US", "es-US", "it-IT", "ja-JP", "ko-KR", "pt-BR", "th-TH", "zh-CN",
	}
}

// RecordLocales lists the locales that a record command may have transcribed in.
func RecordLocales() []string {
	return []string{
		"ar-AE", "ar-SA", "zh-CN", "zh-TW", "da-DK", "nl-NL", "en-AU", "en-GB", "en-IN", "en-IE", "en-NZ", "en-AB",
		"en-ZA", "en-US", "en-WL", "fr-FR", "fr-CA", "fa-IR", "de-DE", "de-CH", "he-IL", "hi-IN", "id-ID", "it-IT",
		"ja-JP", "ko-KR", "ms-MY", "pt-PT", "pt-BR", "ru-RU", "es-ES", "es-US", "sv-SE", "ta-IN", "te-IN", "th-TH",
		"tr-TR", "vi-VN",
	}
}

// SayLocales lists the locales that say may speak.
func SayLocales() []string {
	return []string{
		"arb", "ar-AE", "bg-BG", "bn-IN", "ca-ES", "cs-CZ", "cy-GB", "cmn-CN", "da-DK", "de-CH", "de-DE", "de-AT",
		"el-GR", "en-AU", "en-GB", "en-IN", "en-NZ", "en-ZA", "en-US", "en-GB-WLS", "es-ES", "es-MX", "es-US",
		"eu-ES", "fi-FI", "fil-PH", "fr-FR", "fr-BE", "fr-CA", "gl-ES", "gu-IN", "he-IL", "hi-IN", "hu-HU",
		"id-ID", "is-IS", "it-IT", "ja-JP", "ko-KR", "lt-LT", "lv-LV", "ms-MY", "nl-BE", "nl-NL", "nb-NO", "pa-IN",
		"pl-PL", "pt-BR", "pt-PT", "ro-RO", "ru-RU", "sk-SK", "sr-RS", "sv-SE", "ta-IN", "te-IN", "tr-TR", "th-TH",
		"uk-UA", "vi-VN", "yue-CN",
	}
}

// TranscriptionLocales lists the locales of a transcription.
func TranscriptionLocales() []string {
	return []string{
		"ar-AE", "ar-SA", "cmn-CN", "cy-GB", "da-DK", "de-CH", "de-DE", "el-GR", "en-AU", "en-GB", "en-GB-WLS",
		"en-IE", "en-IN", "en-NZ", "en-US", "en-ZA", "es-ES", "es-MX", "es-US", "fr-CA", "fr-FR", "he-IL", "hi-IN",
		"id-ID", "is-IS", "it-IT", "ja-JP", "ko-KR", "ms-MY", "nb-NO", "nl-NL", "pl-PL", "pt-BR", "pt-PT", "ro-RO",
		"ru-RU", "sv-SE", "ta-IN", "te-IN", "th-TH", "tr-TR", "vi-VN", "zh-CN", "zh-HK", "zh-TW", "arb", "af-ZA",
		"bn-IN", "ca-ES", "cmn-TW", "cs-CZ", "fi-FI", "fil-PH", "gu-IN", "hu-HU", "kn-IN", "lt-LT", "lv-LV",
		"ml-IN", "mr-IN", "pa-IN", "sk-SK", "sr-RS", "uk-UA", "yue-HK", "no-NO",
	}
}

// RingTone is the country whose ring tone a party hears: an ISO 3166 code, with
// two of the API's own.
type RingTone string

// RingTones lists the ring tones.
func RingTones() []RingTone {
	return []RingTone{
		"be", "ca", "cn", "cy", "cz", "de", "dk", "dz", "eg", "fi", "fr", "hk", "hu", "il", "in", "jp", "ko", "pk",
		"pl", "ro", "rs", "ru", "sa", "tr", "uk", "us",
	}
}
