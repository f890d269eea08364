NAME two_binaries
ROWS
 N cost
 L r1
COLUMNS
 m1 'MARKER' 'INTORG'
 x1 r1 17.7846
 x2 cost -1
 x2 r1 811
 m2 'MARKER' 'INTEND'
RHS
 rhs r1 828.78459
BOUNDS
 UP bnd x1 1
 UP bnd x2 1
ENDATA
