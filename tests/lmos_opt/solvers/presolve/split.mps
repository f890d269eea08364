NAME        
ROWS
 N  Obj     
 L  r0      
 L  r1      
 L  r2      
 L  r3      
 L  r4      
 L  r5      
 L  r6      
 L  r7      
 L  r8      
 L  r9      
 L  r10     
 L  r11     
 L  r12     
 L  r13     
 L  r14     
 L  r15     
 L  r16     
 L  r17     
 L  r18     
 L  r19     
 L  r20     
 L  r21     
 L  r22     
 L  r23     
 L  r24     
 L  r25     
 L  r26     
 L  r27     
 N  r28     
COLUMNS
    MARK0000  'MARKER'                 'INTORG'
    c0        Obj       -11400723
    c0        r0        1
    c0        r5        -1
    c0        r8        1
    c0        r16       -1
    c0        r19       1
    c0        r26       11400723
    c0        r27       0.036894463671355834
    c0        r28       -11400723
    c1        Obj       -18272
    c1        r0        -1
    c1        r1        -1
    c1        r9        -1
    c1        r15       1
    c1        r16       1
    c1        r17       1
    c1        r18       -1
    c1        r20       1
    c1        r25       -1
    c1        r26       18272
    c1        r27       -0.0088155084365281917
    c1        r28       -18272
    c2        Obj       -47113
    c2        r1        1
    c2        r7        -1
    c2        r8        1
    c2        r17       -1
    c2        r19       1
    c2        r26       47113
    c2        r27       7.8030974308207108
    c2        r28       -47113
    c3        Obj       -2496596682
    c3        r2        -1
    c3        r8        1
    c3        r10       -1
    c3        r15       1
    c3        r21       1
    c3        r25       -1
    c3        r26       2496596682
    c3        r27       -0.0071370274387238331
    c3        r28       -2496596682
    MARK0001  'MARKER'                 'INTEND'
    c4        r2        -1
    c4        r3        -1
    c4        r4        -1
    c4        r5        -1
    c4        r6        -1
    c4        r7        -1
    c4        r8        1
    MARK0002  'MARKER'                 'INTORG'
    c5        Obj       -305209
    c5        r3        -1
    c5        r8        1
    c5        r11       -1
    c5        r15       1
    c5        r22       1
    c5        r25       -1
    c5        r26       305209
    c5        r27       -0.082339484009178232
    c5        r28       -305209
    c6        Obj       -3646622134
    c6        r4        -1
    c6        r8        1
    c6        r12       -1
    c6        r15       1
    c6        r23       1
    c6        r25       -1
    c6        r26       3646622134
    c6        r27       0.0088651018965783864
    c6        r28       -3646622134
    c7        Obj       -1436224
    c7        r6        -1
    c7        r8        1
    c7        r13       -1
    c7        r15       1
    c7        r24       1
    c7        r25       -1
    c7        r26       1436224
    c7        r27       1.1641761942686776e-06
    c7        r28       -1436224
    MARK0003  'MARKER'                 'INTEND'
    c8        r9        -1
    c8        r10       -1
    c8        r11       -1
    c8        r12       -1
    c8        r13       -1
    c8        r14       1
    c8        r15       1
    c8        r27       2.3999999999999999e-06
    c9        r16       -1
    c9        r17       -1
    c9        r18       1
    c9        r19       1
    c9        r27       0.014616799999999999
    c10       Obj       -3
    c10       r20       -1
    c10       r21       -1
    c10       r22       -1
    c10       r23       -1
    c10       r24       -1
    c10       r25       1
    c10       r26       3
    c10       r28       -3
    c11       Obj       0
    c12       Obj       0
    c13       Obj       0
    c14       Obj       0
    c15       Obj       0
    c16       Obj       0
RHS
    RHS_V     r2        -1
    RHS_V     r3        -1
    RHS_V     r4        -1
    RHS_V     r5        -1
    RHS_V     r6        -1
    RHS_V     r7        -1
    RHS_V     r8        6
    RHS_V     r9        -1
    RHS_V     r10       -1
    RHS_V     r11       -1
    RHS_V     r12       -1
    RHS_V     r13       -1
    RHS_V     r14       1
    RHS_V     r15       5
    RHS_V     r19       2
    RHS_V     r26       6156426360
    RHS_V     r27       -0.089473529359804932
BOUNDS
 BV BOUND     c0      
 BV BOUND     c1      
 BV BOUND     c2      
 BV BOUND     c3      
 UP BOUND     c4        1
 BV BOUND     c5      
 BV BOUND     c6      
 BV BOUND     c7      
 UP BOUND     c8        1
 UP BOUND     c9        1
 UP BOUND     c10       1
 FX BOUND     c11       0
 FX BOUND     c12       0
 FX BOUND     c13       0
 FX BOUND     c14       0
 FX BOUND     c15       0
 FX BOUND     c16       0
ENDATA
