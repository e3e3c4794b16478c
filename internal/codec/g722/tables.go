package g722

// Tables of G.722. Codes are indexes.
//
//nolint:gochecknoglobals // tables of the standard, never written
var (
	// quadrature is one half of the symmetric filter that splits and joins the
	// bands, table 11, in 1/8192: the even taps.
	quadrature = [12]int32{3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11}

	// roots are the powers of two of the scale's fraction, table 17 (ILB).
	roots = [32]int32{
		2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
		2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
	}

	// low4, low5 and low6 are the inverse quantisers of the lower band with 4, 5
	// and 6 bits, tables 16 to 18 (QM4, QM5, QM6).
	low4 = [16]int32{
		0, -20456, -12896, -8968, -6288, -4240, -2584, -1200,
		20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
	}
	low5 = [32]int32{
		-280, -280, -23352, -17560, -14120, -11664, -9752, -8184,
		-6864, -5712, -4696, -3784, -2960, -2208, -1520, -880,
		23352, 17560, 14120, 11664, 9752, 8184, 6864, 5712,
		4696, 3784, 2960, 2208, 1520, 880, 280, -280,
	}
	low6 = [64]int32{
		-136, -136, -136, -136, -24808, -21904, -19008, -16704,
		-14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856,
		-7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576,
		-3168, -2776, -2400, -2032, -1688, -1360, -1040, -728,
		24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192,
		10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
		4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032,
		1688, 1360, 1040, 728, 432, 136, -432, -136,
	}
	// high2 is the inverse quantiser of the upper band (QM2).
	high2 = [4]int32{-7408, -1616, 7408, 1616}

	// lowSteps and highSteps are how the logarithm of the scale moves (WL by RL42,
	// WH by RH2).
	lowSteps = [16]int32{
		-60, 3042, 1198, 538, 334, 172, 58, -30,
		3042, 1198, 538, 334, 172, 58, -30, -60,
	}
	highSteps = [4]int32{798, -214, 798, -214}

	// borders are the decision levels of the lower band's quantiser (Q6).
	borders = [29]int32{
		35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714,
		786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
	}
)

// highBorder is the decision level of the upper band's quantiser (Q2).
const highBorder = 564
