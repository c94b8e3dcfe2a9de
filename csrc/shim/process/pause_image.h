/* The pause program, byte for byte. */
#ifndef KL_SHIM_PAUSE_IMAGE_H
#define KL_SHIM_PAUSE_IMAGE_H

extern const char pause_image[], pause_image_end[];

#endif
