NAME split_reduced
ROWS
 N cost
 G r1
 L r2
 L r3
 G r4
COLUMNS
 m1 'MARKER' 'INTORG'
 x1 r1 1
 x1 r3 1226.216
 x2 r1 1
 x3 r2 1
 x3 r3 8758.7553
 x3 r4 9000
 m2 'MARKER' 'INTEND'
 x4 r2 -1
 x4 r3 15.0289
RHS
 rhs r1 1
 rhs r3 10000
 rhs r4 5000
BOUNDS
 UP bnd x1 1
 UP bnd x2 1
 UP bnd x3 1
 UP bnd x4 1
ENDATA
